// The show/hide button and protection against a double submit. The page works without both.
"use strict";
const field = document.getElementById("password");
const form = field.form;
const main = document.getElementById("continue");

const toggle = document.createElement("button");
toggle.type = "button";
toggle.className = "toggle";
toggle.setAttribute("aria-controls", "password");
toggle.setAttribute("aria-describedby", "password-label");
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

// Two quick Enters are one attempt: each counts towards the lock.
form.addEventListener("submit", (event) => {
  if (main.getAttribute("aria-busy") === "true") {
    event.preventDefault();
    return;
  }
  show(false); // so that the browser does not remember it as ordinary text
  main.setAttribute("aria-busy", "true");
  setTimeout(() => main.removeAttribute("aria-busy"), 4000);
});
addEventListener("pageshow", () => main.removeAttribute("aria-busy"));
