// Sends the answer on. Coming back to this page must not send it a second time.
"use strict";
const [visit] = performance.getEntriesByType("navigation");
if (!visit || visit.type !== "back_forward") {
  // Not form.submit(): a field of that name would hide the method.
  HTMLFormElement.prototype.submit.call(document.getElementById("answer"));
}
