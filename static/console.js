// Keeps a page fresh in place: <div id="status" data-refresh="address" data-every="seconds">.
// The address answers {"as_of": time, "html": what the div holds now}.
"use strict";
(() => {
  const PATIENCE_MS = 10_000;

  const start = (area) => {
    const asOf = document.getElementById("status-as-of");
    const stale = document.getElementById("status-stale");
    const every = Number(area.dataset.every) * 1000;
    let timer = 0;
    let tried = Date.now();

    const say = (text) => {
      if (stale.textContent !== text) {
        stale.textContent = text; // spoken once, not with every attempt
      }
    };

    // Whoever selects text there would lose it.
    const busy = () => {
      const selection = document.getSelection();
      return selection && !selection.isCollapsed && area.contains(selection.anchorNode);
    };

    // What has the focus is known again by its id, its link, or the id of the details it opens.
    const nameOf = (element) => {
      if (!area.contains(element)) {
        return null;
      }
      if (element.localName === "summary") {
        return `#${CSS.escape(element.parentElement.id)} > summary`;
      }
      if (element.hasAttribute("href")) {
        return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
      }
      const label = element.getAttribute("aria-label");
      return label ? `[aria-label="${CSS.escape(label)}"]` : null;
    };

    const replace = (html) => {
      const focused = nameOf(document.activeElement);
      const open = [...area.querySelectorAll("details[open][id]")].map((details) => details.id);
      area.innerHTML = html;
      for (const id of open) {
        document.getElementById(id)?.setAttribute("open", "");
      }
      if (focused) {
        area.querySelector(focused)?.focus({ preventScroll: true });
      }
    };

    const refresh = async () => {
      tried = Date.now();
      try {
        const answer = await fetch(area.dataset.refresh, {
          headers: { Accept: "application/json" },
          redirect: "manual",
          signal: AbortSignal.timeout(PATIENCE_MS),
        });
        if (answer.type === "opaqueredirect") {
          say("Not refreshed: you are signed out. Reload the page to sign in.");
          return;
        }
        if (!answer.ok) {
          throw new Error(String(answer.status));
        }
        const { as_of: at, html } = await answer.json();
        if (busy()) {
          return;
        }
        replace(html);
        asOf.dateTime = at;
        asOf.textContent = `${at.slice(11, 19)} UTC`;
        say("");
      } catch {
        say("The last refresh failed; trying again.");
      }
    };

    const schedule = (wait) => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        await refresh();
        if (!document.hidden) {
          schedule(every);
        }
      }, wait);
    };

    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        clearTimeout(timer);
      } else {
        schedule(Math.max(tried + every - Date.now(), 0));
      }
    });
    document.getElementById("status-live").hidden = false;
    if (!document.hidden) {
      schedule(every);
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const area = document.querySelector("#status[data-refresh]");
    if (area) {
      start(area);
    }
  });
})();
