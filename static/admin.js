// Mends in Django's own admin what keeps people with a screen reader from using it.
"use strict";
(() => {
  const mend = () => {
    // An icon whose meaning is in its label, on an element that may have none.
    for (const icon of document.querySelectorAll("span.help-tooltip[aria-label]:not([role])")) {
      icon.setAttribute("role", "img");
    }
    // Date and time are two fields under one heading, which is no label of either.
    for (const row of document.querySelectorAll(".flex-container:has(.datetime)")) {
      const heading = row.querySelector("label, legend")?.textContent.replace(/:\s*$/, "").trim();
      for (const [selector, part] of [[".vDateField", "date"], [".vTimeField", "time"]]) {
        for (const input of row.querySelectorAll(`${selector}:not([aria-label])`)) {
          input.setAttribute("aria-label", `${heading}: ${part}`);
        }
      }
    }
  };
  // A phone shows each row as a card (admin.css), where the heads of the columns are out of sight.
  const nameCells = () => {
    const heads = [...document.querySelectorAll("#result_list thead th")];
    const names = heads.map((head) => head.querySelector(".text")?.textContent.trim() ?? "");
    for (const row of document.querySelectorAll("#result_list tbody tr")) {
      for (const [number, cell] of [...row.cells].entries()) {
        if (cell.matches("td:not(.action-checkbox)") && names[number]) {
          cell.dataset.name = names[number];
        }
      }
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    nameCells();
    mend();
    new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  });
})();
