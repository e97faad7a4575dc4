// The show/hide buttons and protection against a double submit. The page works without both.
"use strict";
const main = document.getElementById("continue");
const hide = [];

for (const field of document.querySelectorAll("input[data-show]")) {
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "toggle";
  toggle.setAttribute("aria-controls", field.id);
  toggle.setAttribute("aria-describedby", `${field.id}-label`);
  const show = (visible) => {
    field.type = visible ? "text" : "password";
    toggle.textContent = visible ? field.dataset.hide : field.dataset.show;
  };
  show(false);
  toggle.addEventListener("click", () => {
    show(field.type === "password");
    field.focus();
  });
  field.after(toggle);
  field.parentElement.classList.add("toggles");
  hide.push(() => show(false));
}

// Two quick Enters are one attempt: each counts towards the lock.
main.form.addEventListener("submit", (event) => {
  if (main.getAttribute("aria-busy") === "true") {
    event.preventDefault();
    return;
  }
  hide.forEach((one) => one()); // so that the browser does not remember it as ordinary text
  main.setAttribute("aria-busy", "true");
  setTimeout(() => main.removeAttribute("aria-busy"), 4000);
});
addEventListener("pageshow", () => main.removeAttribute("aria-busy"));
