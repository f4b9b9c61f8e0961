// An OpenID provider for the tests: npm `oidc-provider`, certified and written by nobody here, on a free port of loopback.
// Its answers are its own. What stands here counts them, and lets a test take away what a provider may take away.
//
//   node oidc.mjs NODE_MODULES '{"port": 0, "clients": [...], "lifetime": 3600}'

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, text] = process.argv.slice(2);
const options = JSON.parse(text);
const require = createRequire(`${modules}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Provider } = await load('oidc-provider');
const jose = await load('jose');

// A port is known before its issuer is named.
const server = createServer();
// A client that keeps a socket must not meet its end in the middle of a request.
server.keepAliveTimeout = 600_000;
await new Promise((listening) => server.listen({ port: options.port, host: '127.0.0.1', backlog: 2048 }, listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

let lifetime = options.lifetime;
let down = false;
let refusing = false;
const asked = {};
const answered = {};
const issued = { access: [], refresh: [] };
const grants = new Set();
const waiting = [];

const provider = new Provider(issuer, {
  // A redirect URI that names the service: `{host}`.
  clients: JSON.parse(JSON.stringify(options.clients).replaceAll('{host}', new URL(issuer).host)),
  cookies: { keys: ['of no use outside of a test'] },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
  },
  ttl: {
    AccessToken: () => lifetime,
    ClientCredentials: () => lifetime,
    RefreshToken: 86_400,
    Grant: 86_400,
    Session: 86_400,
    Interaction: 600,
    IdToken: 600,
  },
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  // Whoever is not trusted to own an address is called so.
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id.replace('not-', '')}@example.com`, email_verified: !id.startsWith('not-') }),
  }),
  renderError: (ctx, out) => {
    ctx.type = 'text/plain';
    ctx.body = `${out.error}: ${out.error_description ?? ''}`;
  },
});
const { AccessToken, ClientCredentials, Grant, RefreshToken } = provider;
for (const name of ['access_token.saved', 'refresh_token.saved']) {
  provider.on(name, (token) => grants.add(token.grantId));
}

const count = (where, kind) => {
  where[kind] = (where[kind] ?? 0) + 1;
};
const keep = (body) => {
  if (body?.access_token) issued.access.push(body.access_token);
  if (body?.refresh_token) issued.refresh.push(body.refresh_token);
};
const body = async (ctx) => {
  const chunks = [];
  for await (const chunk of ctx.req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};
const bearer = (ctx) => (ctx.get('authorization').match(/^Bearer (.+)$/) ?? [])[1];
const known = async (token) => (await AccessToken.find(token)) ?? (await ClientCredentials.find(token));

const routes = {
  // A resource of the service: who the token belongs to.
  'GET /whoami': async (ctx) => {
    const token = bearer(ctx) && (await known(bearer(ctx)));
    if (!token?.isValid) {
      ctx.status = 401;
      ctx.set('www-authenticate', 'Bearer error="invalid_token"');
      ctx.body = { error: 'invalid_token' };
      return;
    }
    ctx.body = { sub: token.accountId ?? null, client: token.clientId, scope: token.scope ?? null };
  },
  // RFC 7523: what signs is judged by `jose`.
  'POST /assertion': async (ctx) => {
    const form = new URLSearchParams(await body(ctx));
    const kind = form.get('grant_type');
    count(asked, kind);
    try {
      const key = await jose.importJWK(options.assertionKey, options.assertionKey.alg);
      const { payload } = await jose.jwtVerify(form.get('assertion'), key, {
        audience: `${issuer}/assertion`,
        requiredClaims: ['exp', 'iat', 'iss', 'sub'],
        maxTokenAge: '5 minutes',
      });
      const client = await provider.Client.find(options.clients[0].client_id);
      const token = await new ClientCredentials({ client, scope: payload.sub }).save();
      ctx.body = { access_token: token, token_type: 'Bearer', expires_in: lifetime };
      keep(ctx.body);
    } catch (error) {
      ctx.status = 400;
      ctx.body = { error: 'invalid_grant', error_description: `${error.code ?? error.name}: ${error.message}` };
    }
    count(answered, ctx.status);
  },
  'GET /control/counts': (ctx) => {
    ctx.body = { asked, answered };
  },
  'GET /control/issued': (ctx) => {
    ctx.body = issued;
  },
  // Tokens of a consent that nobody had to give in a browser.
  'POST /control/mint': async (ctx) => {
    const { who, client: id, scope } = JSON.parse(await body(ctx));
    const client = await provider.Client.find(id);
    const grant = new Grant({ accountId: who, clientId: id });
    grant.addOIDCScope(scope);
    const grantId = await grant.save();
    const of = { accountId: who, client, grantId, gty: 'authorization_code', scope };
    const access = await new AccessToken({ ...of, claims: {} }).save();
    const refresh = await new RefreshToken({
      ...of, authTime: Math.floor(Date.now() / 1000), rotations: 0, iiat: Math.floor(Date.now() / 1000),
    }).save();
    ctx.body = { access_token: access, refresh_token: refresh };
    keep(ctx.body);
  },
  // What sets how it behaves from now on.
  'POST /control/set': async (ctx) => {
    const set = JSON.parse(await body(ctx));
    lifetime = set.lifetime ?? lifetime;
    down = set.down ?? down;
    refusing = set.refusing ?? refusing;
    ctx.body = {};
  },
  // Every access token is void from now on; refresh tokens are not.
  'POST /control/void': async (ctx) => {
    for (const token of issued.access) await (await known(token))?.destroy();
    ctx.body = {};
  },
  // Every consent is taken back.
  'POST /control/revoke': async (ctx) => {
    for (const id of grants) {
      await AccessToken.revokeByGrantId(id);
      await RefreshToken.revokeByGrantId(id);
      await (await Grant.find(id))?.destroy();
    }
    ctx.body = {};
  },
  // Which of all refresh tokens it would still take.
  'GET /control/alive': async (ctx) => {
    const alive = [];
    for (const value of issued.refresh) {
      const token = await RefreshToken.find(value);
      if (token?.isValid && !token.consumed) alive.push(value);
    }
    ctx.body = alive;
  },
  // Answers as soon as no access token is good any more.
  'GET /control/expired': async (ctx) => {
    for (;;) {
      const last = await Promise.all(issued.access.map(known));
      const until = Math.max(0, ...last.filter((token) => token?.isValid).map((token) => token.exp));
      const left = until * 1000 - Date.now();
      if (left <= 0) break;
      await new Promise((passed) => setTimeout(passed, Math.min(left, 50)));
    }
    ctx.body = {};
  },
  // Answers as soon as so many tokens were asked to be revoked.
  'GET /control/revoked': async (ctx) => {
    while ((asked.revocation ?? 0) < Number(ctx.query.requests)) await new Promise(setImmediate);
    ctx.body = {};
  },
  // Answers so many microseconds after so many token requests had arrived.
  'GET /control/moment': async (ctx) => {
    const requests = Number(ctx.query.requests);
    if ((asked.token ?? 0) < requests) await new Promise((arrived) => waiting.push({ requests, arrived }));
    const until = process.hrtime.bigint() + BigInt(ctx.query.microseconds) * 1000n;
    while (process.hrtime.bigint() < until) await new Promise(setImmediate);
    ctx.body = {};
  },
};

provider.use(async (ctx, next) => {
  const route = routes[`${ctx.method} ${ctx.path}`];
  if (route) return route(ctx);
  if (ctx.path === '/token/revocation') {
    await next();
    count(asked, 'revocation');
    return undefined;
  }
  if (ctx.path !== '/token') return next();
  if (down) {
    count(asked, 'down');
    ctx.status = 503;
    return undefined;
  }
  if (refusing) {
    count(asked, 'refusing');
    ctx.status = 429;
    ctx.set('retry-after', '7');
    return undefined;
  }
  // The form is read by the provider: which grant it was is known afterwards only.
  count(asked, 'token');
  for (const one of waiting.splice(0)) {
    if (one.requests <= asked.token) one.arrived();
    else waiting.push(one);
  }
  await next();
  count(asked, ctx.oidc?.params?.grant_type ?? 'none');
  count(answered, ctx.status);
  keep(ctx.body);
  return undefined;
});
server.on('request', provider.callback());
console.log(`ready at ${issuer}`);
