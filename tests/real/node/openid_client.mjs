// A relying party by openid-client, driven by lines of JSON.
//
// It is told on the command line who it is, and prints where a browser has to go. It is told on
// its input what came back from there, and prints what the library made of it. The library checks
// state, nonce, issuer (RFC 9207), and the ID token with its signature.
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

// Not there by itself in Node.js 18, which is what Debian 12 has.
globalThis.crypto ??= webcrypto;
const client = await import("openid-client");

const told = JSON.parse(process.argv[2]);
const say = (answer) => console.log(JSON.stringify(answer));

const AUTHENTICATION = {
  client_secret_basic: () => client.ClientSecretBasic(told.client_secret),
  client_secret_post: () => client.ClientSecretPost(told.client_secret),
  none: () => client.None(),
};

const config = await client.discovery(
  new URL(told.issuer),
  told.client_id,
  { id_token_signed_response_alg: told.alg, client_secret: told.client_secret ?? undefined },
  AUTHENTICATION[told.auth_method](),
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
);

const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const expectedNonce = client.randomNonce();
const parameters = {
  redirect_uri: told.redirect_uri,
  scope: "openid profile email",
  state: expectedState,
  nonce: expectedNonce,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
};
if (told.response_mode) parameters.response_mode = told.response_mode;
say({ authorization_url: client.buildAuthorizationUrl(config, parameters).href });

// What came back: `url`, and the body of the form where it was posted.
const { url, form } = JSON.parse((await createInterface(process.stdin)[Symbol.asyncIterator]().next()).value);
const current = form === undefined
  ? new URL(url)
  : new Request(url, { method: "POST", body: new URLSearchParams(form) });

try {
  const tokens = await client.authorizationCodeGrant(config, current, {
    pkceCodeVerifier,
    expectedState,
    expectedNonce,
    idTokenExpected: true,
  });
  const claims = tokens.claims();
  const header = JSON.parse(Buffer.from(tokens.id_token.split(".")[0], "base64url"));
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  const endSession = client.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: told.post_logout_redirect_uri,
    state: "after",
  });
  say({ header, claims, userinfo, end_session_url: endSession.href });
} catch (error) {
  say({ error: error.error ?? error.code ?? String(error), cause: String(error.cause ?? error) });
}
process.exit(0);
