// node-oidc-provider with every model in Redis: the reference the product is measured beside.
// The library's defaults are kept; only what a deployment must set is set (keys, adapter, client,
// accounts, interaction). Its one interaction page signs the `login_hint` in without a password,
// because only sign-ins with a live session are measured.

import cluster from 'node:cluster';
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import { parseArgs } from 'node:util';

import { Provider } from 'oidc-provider';

import { redisAdapter } from './adapter.js';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    'redis-url': { type: 'string' },
    workers: { type: 'string', default: '1' },
    'client-id': { type: 'string', default: 'bench' },
    'client-secret': { type: 'string', default: 'bench-secret-bench-secret-bench-secret' },
    'redirect-uri': { type: 'string', default: 'https://rp.example/callback' },
  },
});

function newSigningKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'bench' };
}

function configuration(signingKey) {
  return {
    adapter: redisAdapter(options['redis-url']),
    clients: [{
      client_id: options['client-id'],
      client_secret: options['client-secret'],
      redirect_uris: [options['redirect-uri']],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'RS256',
    }],
    jwks: { keys: [signingKey] },
    cookies: { keys: ['bench-cookie-key-bench-cookie-key'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  };
}

async function signIn(provider, request, response) {
  const { params, session, grantId } = await provider.interactionDetails(request, response);
  const accountId = session?.accountId ?? params.login_hint ?? 'bench-user';
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  await provider.interactionFinished(request, response, {
    login: { accountId },
    consent: { grantId: await grant.save() },
  });
}

function serve(signingKey) {
  const provider = new Provider(`http://127.0.0.1:${options.port}`, configuration(signingKey));
  provider.on('server_error', (ctx, error) => console.error(error));
  const answer = provider.callback();
  const server = http.createServer((request, response) => {
    if (!request.url.startsWith('/interaction/')) {
      answer(request, response);
      return;
    }
    signIn(provider, request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });
  server.listen(Number(options.port), '127.0.0.1');
}

const workers = Number(options.workers);
if (workers > 1 && cluster.isPrimary) {
  const key = JSON.stringify(newSigningKey()); // one key for all workers
  for (let started = 0; started < workers; started += 1) cluster.fork({ BENCH_SIGNING_KEY: key });
} else {
  serve(process.env.BENCH_SIGNING_KEY ? JSON.parse(process.env.BENCH_SIGNING_KEY) : newSigningKey());
}
