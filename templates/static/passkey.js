// Asks the browser for a passkey: by the button and, on the first page, in the field's own list.
"use strict";
const button = document.querySelector("[data-options]");
const form = button.form;
const field = document.getElementById("identifier");
const failed = document.getElementById("passkey-failed");
const options = JSON.parse(button.dataset.options);

const toBytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const send = ({ id, rawId, type, response }) => {
  const sent = { transports: response.getTransports ? response.getTransports() : [] };
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) sent[name] = toText(response[name]);
  }
  const input = document.createElement("input");
  input.type = "hidden";
  input.name = "credential";
  input.value = JSON.stringify({ id, rawId: toText(rawId), type, response: sent });
  form.append(input);
  if (button.dataset.action) form.action = button.dataset.action;
  form.submit();
};

let waiting;
const ask = async (mediation) => {
  if (waiting) waiting.abort();
  waiting = new AbortController();
  const asked = { publicKey: options, signal: waiting.signal };
  if (mediation) asked.mediation = mediation;
  send(await navigator.credentials[options.user ? "create" : "get"](asked));
};
const offer = () => ask("conditional").catch(() => {});

const start = async () => {
  options.challenge = toBytes(options.challenge);
  if (options.user) options.user.id = toBytes(options.user.id);
  for (const known of options.excludeCredentials || options.allowCredentials) known.id = toBytes(known.id);
  for (const part of document.querySelectorAll("[data-passkey]")) part.hidden = part.dataset.passkey === "without";
  if (!field) {
    button.focus();
  } else if (await window.PublicKeyCredential.isConditionalMediationAvailable?.()) {
    offer();
  }
};

button.addEventListener("click", async (event) => {
  event.preventDefault();
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await ask();
  } catch (error) {
    button.removeAttribute("aria-busy");
    if (failed) {
      const { known, other } = failed.dataset;
      failed.textContent = error.name === "InvalidStateError" && known ? known : other;
      failed.hidden = false;
    }
    if (field) offer();
  }
});
addEventListener("pageshow", () => button.removeAttribute("aria-busy"));
if (window.PublicKeyCredential) start();
