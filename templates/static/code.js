// Counts down to when a new code can be sent. The page works without this: the server says how long
// to wait, and sends nothing too early.
"use strict";
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
