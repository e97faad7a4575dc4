// Lets a phone offer the code of a text message that names this host (WebOTP). The person still
// looks at it and goes on by the button; the page works without this.
"use strict";
if ("OTPCredential" in window) {
  const field = document.getElementById("code");
  const stop = new AbortController();
  field.form.addEventListener("submit", () => stop.abort());
  navigator.credentials.get({ otp: { transport: ["sms"] }, signal: stop.signal }).then(
    (message) => { if (message && !field.value) field.value = message.code; },
    () => {}, // Nobody sent one, or the person said no: it is typed.
  );
}
