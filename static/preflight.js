// Keeps the progress of a run current; at its end the page is loaded once more, with the results.
"use strict";
(() => {
  const bar = document.getElementById("preflight-bar");
  const words = document.getElementById("preflight-words");
  const note = document.getElementById("preflight-note");
  const EVERY_MS = 2000;

  const say = (element, text) => {
    // Screen readers hear what changes, and only that.
    if (element.textContent !== text) {
      element.textContent = text;
    }
    element.hidden = text === "";
  };

  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(bar.dataset.progress, { headers: { Accept: "application/json" }, redirect: "error" });
        if (!answer.ok) {
          throw new Error(answer.statusText);
        }
        const now = await answer.json();
        if (now.outcome) {
          location.reload();
          return;
        }
        bar.max = now.total;
        bar.value = now.done;
        say(words, now.words);
        say(note, now.note);
      } catch {
        say(note, "The progress cannot be read now. The run goes on without this page.");
      }
    }
    setTimeout(look, EVERY_MS);
  };
  setTimeout(look, EVERY_MS);
})();
