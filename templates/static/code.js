// Counts down to when a new code can be sent, and protects from a double submit. The page works
// without both: the server says how long to wait, and sends nothing too early.
"use strict";
const form = document.getElementById("code").form;
const resend = document.getElementById("resend");

if (resend) {
  const end = performance.now() + Number(resend.dataset.seconds) * 1000;
  const count = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    resend.disabled = left > 0;
    resend.textContent = left > 0 ? resend.dataset.wait.replace("%d", left) : resend.dataset.ready;
    if (left > 0) setTimeout(count, 250);
  };
  count();
}

// Two quick Enters are one try: each counts.
let busy = null;
const rest = () => {
  busy?.removeAttribute("aria-busy");
  busy = null;
};
form.addEventListener("submit", (event) => {
  if (busy) {
    event.preventDefault();
    return;
  }
  busy = event.submitter || document.getElementById("continue");
  busy.setAttribute("aria-busy", "true");
  setTimeout(rest, 4000);
});
addEventListener("pageshow", rest);
