// Mends in Swagger UI's page what keeps people with keyboard or screen reader from using it.
"use strict";
(() => {
  const mend = () => {
    // Its buttons hold links to themselves, two controls in one. The button does what the link does.
    for (const link of document.querySelectorAll("button.opblock-summary-control a[href]")) {
      link.removeAttribute("href");
    }
    for (const select of document.querySelectorAll("select.examples-select-element:not([aria-label])")) {
      select.setAttribute("aria-label", "Example");
    }
    for (const example of document.querySelectorAll("pre.microlight:not([tabindex])")) {
      example.tabIndex = 0; // so that the arrow keys can scroll it
    }
  };
  new MutationObserver(mend).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });
})();
