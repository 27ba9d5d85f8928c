// The account's page: what a button is answered with appears in place, and the page around it is brought up to date.
"use strict";
(() => {
  const answer = () => document.getElementById("answer");

  const say = (text, tone) => {
    answer().textContent = text;
    answer().dataset.tone = tone;
  };

  // Everything that a check may change, from the page as the server has it now. Buttons and focus stay as they are.
  const freshen = async () => {
    const page = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!page.ok || page.redirected) {
      return;
    }
    const made = new DOMParser().parseFromString(await page.text(), "text/html");
    for (const part of document.querySelectorAll("[data-part]")) {
      const fresh = made.getElementById(part.id);
      if (fresh && !part.contains(document.activeElement)) {
        part.replaceChildren(...fresh.childNodes);
      }
    }
  };

  const show = async (link) => {
    const field = document.getElementById("link-value");
    field.value = link;
    document.getElementById("link").hidden = false;
    try {
      await navigator.clipboard.writeText(link);
      say("Copied the reconnect link.", "good");
    } catch {
      // No clipboard without https, or the browser refused.
      field.focus();
      field.select();
      say("The link is selected below: copy it from there.", "warn");
    }
  };

  const onSubmit = async (event) => {
    const form = event.target.closest("form[data-in-place]");
    if (!form) {
      return;
    }
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") {
      return;
    }
    button.setAttribute("aria-disabled", "true");
    say(form.dataset.inPlace, "calm");
    try {
      const got = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        headers: { Accept: "application/json" },
      });
      if (!got.ok || !(got.headers.get("Content-Type") ?? "").startsWith("application/json")) {
        throw new Error("not an answer of this page's");
      }
      const said = await got.json();
      say(said.text, said.tone);
      if (said.link) {
        await show(said.link);
      }
      await freshen();
    } catch {
      say("No answer came. Please reload the page and see whether it was done.", "bad");
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };

  document.addEventListener("submit", onSubmit);
})();
