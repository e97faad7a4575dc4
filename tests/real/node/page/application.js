// A public client by oidc-client-ts. What it found is written into #result, whose `data-state`
// says which step is done.
"use strict";
const { UserManager, WebStorageStateStore } = oidc;
const configured = new URLSearchParams(location.hash.slice(1));
if (configured.has("issuer")) {
  sessionStorage.setItem("configuration", JSON.stringify(Object.fromEntries(configured)));
}
const { issuer, client_id } = JSON.parse(sessionStorage.getItem("configuration"));

const manager = new UserManager({
  authority: issuer,
  client_id,
  redirect_uri: `${location.origin}/callback`,
  silent_redirect_uri: `${location.origin}/silent`,
  post_logout_redirect_uri: `${location.origin}/signed-out`,
  scope: "openid profile email",
  loadUserInfo: true,
  automaticSilentRenew: false,
  userStore: new WebStorageStateStore({ store: sessionStorage }),
});

const result = document.getElementById("result");
const show = (state, found) => {
  result.textContent = JSON.stringify(found, null, 1);
  result.dataset.state = state;
};
const run = (state, work) => async () => {
  try {
    show(state, await work());
  } catch (error) {
    show("failed", { error: error.error ?? String(error), name: error.name });
  }
};
const seen = (user) => user && { claims: user.profile, id_token: user.id_token };

const on = (id, handler) => document.getElementById(id).addEventListener("click", handler);
on("sign-in", () => manager.signinRedirect());
on("renew", run("renewed", async () => seen(await manager.signinSilent())));
on("look", run("looked", async () => seen(await manager.signinSilent({ prompt: "none" }))));
on("sign-out", () => manager.signoutRedirect({ state: "after" }));

const arrived = {
  "/callback": run("signed-in", async () => seen(await manager.signinCallback())),
  "/signed-out": run("signed-out", async () => {
    const answer = await manager.signoutCallback();
    return { state: answer?.userState ?? null, user: await manager.getUser() };
  }),
};
(arrived[location.pathname] ?? run("ready", async () => ({})))();
