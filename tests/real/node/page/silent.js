"use strict";
new oidc.UserManager({ authority: "-", client_id: "-", redirect_uri: "-" }).signinSilentCallback();
