// Copy buttons of the admin: <button hidden data-copy="text">. Without JavaScript they stay hidden.
"use strict";
(() => {
  const spoken = document.createElement("p");
  spoken.className = "copy-status";
  spoken.setAttribute("role", "status");

  // navigator.clipboard exists only on https and localhost.
  const copy = async (text) => {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return;
    }
    const box = document.createElement("textarea");
    box.value = text;
    box.className = "copy-status";
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    if (!done) {
      throw new Error("the browser refused to copy");
    }
  };

  const onClick = async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) {
      return;
    }
    const label = button.dataset.label ?? button.textContent;
    button.dataset.label = label;
    let said = "Copied";
    try {
      await copy(button.dataset.copy);
    } catch {
      said = "Not copied: please select the text by hand";
    }
    button.textContent = spoken.textContent = said;
    button.focus();
    setTimeout(() => {
      button.textContent = label;
      spoken.textContent = "";
    }, 2000);
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.body.append(spoken);
    for (const button of document.querySelectorAll("button[data-copy]")) {
      button.hidden = false;
    }
    document.addEventListener("click", onClick);
  });
})();
