// Two quick Enters are one attempt: each counts. The page works without this.
"use strict";
const main = document.getElementById("continue");
main.form.addEventListener("submit", (event) => {
  if (event.submitter && event.submitter !== main) return;
  if (main.getAttribute("aria-busy") === "true") {
    event.preventDefault();
    return;
  }
  main.setAttribute("aria-busy", "true");
  setTimeout(() => main.removeAttribute("aria-busy"), 4000);
});
addEventListener("pageshow", () => main.removeAttribute("aria-busy"));
