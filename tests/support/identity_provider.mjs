// A certified OpenID provider (npm oidc-provider) with people in it, which issues ID-JAGs by token exchange too.
//
// node identity_provider.mjs NODE_MODULES, then lines of JSON on standard input: first the configuration, later people in place of those before.
// Each is answered by a line on standard output, the first by `listening PORT`, the others by `changed`.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const modules = process.argv[2];
const { Provider, errors } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));
const { SignJWT, importJWK } = await import(pathToFileURL(`${modules}/jose/dist/webapi/index.js`));

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag';
const PARAMETERS = ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope', 'client_at_audience'];
let people;

const claimsOf = (sub) => ({ sub, ...people[sub] });

function configuration({ clients, jwks, claims_in_id_token }) {
  return {
    clients: clients.map((client) => ({ ...client, response_types: ['code'], grant_types: ['authorization_code', 'refresh_token', TOKEN_EXCHANGE] })),
    jwks,
    pkce: { required: () => true },
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups', 'mcp'],
    conformIdTokenClaims: !claims_in_id_token,
    findAccount: (ctx, sub) => (sub in people ? { accountId: sub, claims: () => claimsOf(sub) } : undefined),
    extraTokenClaims: (ctx, token) => ('accountId' in token ? people[token.accountId] : undefined),
    ttl: { RefreshToken: 86400, AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, Session: 3600 },
    cookies: { keys: ['only for tests'] },
    features: {
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({ scope: 'mcp', audience: resource, accessTokenFormat: 'jwt' }),
        useGrantedResource: () => true,
      },
    },
  };
}

// draft-ietf-oauth-identity-assertion-authz-grant; `client_at_audience` stands for what a provider knows of its clients' registrations.
function exchange(provider, key) {
  return async (ctx) => {
    const { params, client } = ctx.oidc;
    if (params.requested_token_type !== ID_JAG) throw new errors.InvalidRequest('only ID-JAGs are issued');
    const { payload } = await provider.IdToken.validate(params.subject_token, client).catch(() => { throw new errors.InvalidGrant('subject_token'); });
    const signing = await importJWK(key, key.alg);
    const { email, email_verified, groups } = claimsOf(payload.sub);
    const claims = {
      client_id: params.client_at_audience, resource: params.resource, scope: params.scope, auth_time: payload.auth_time, email, email_verified, groups,
    };
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'oauth-id-jag+jwt' })
      .setIssuer(provider.issuer).setSubject(payload.sub).setAudience(params.audience)
      .setJti(crypto.randomUUID()).setIssuedAt().setExpirationTime('5m').sign(signing);
    ctx.body = { issued_token_type: ID_JAG, access_token: token, token_type: 'N_A', expires_in: 300, scope: params.scope };
  };
}

function start(asked) {
  const server = createServer();
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    const provider = new Provider(`http://127.0.0.1:${port}`, configuration(asked));
    provider.registerGrantType(TOKEN_EXCHANGE, exchange(provider, asked.jwks.keys[0]), PARAMETERS);
    server.on('request', provider.callback());
    console.log(`listening ${port}`);
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const isFirst = people === undefined;
  people = asked.people;
  if (isFirst) start(asked);
  else console.log('changed');
}
process.exit(0);
