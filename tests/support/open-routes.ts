/** Routes that are open to anybody, or by a signature in the URL, as the OpenAPI document spells them. */
export const openRoutes = [
  'GET /health',
  'GET /ready',
  'GET /.well-known/manifest-keys.json',
  'GET /.well-known/webhooks-keys/{file}',
  'POST /v1/callbacks/{user}/{request}/{attempt}',
  'GET /.well-known/oauth-authorization-server',
  'GET /.well-known/oauth-protected-resource',
  'GET /.well-known/oauth-protected-resource/mcp',
  'POST /oauth/register',
  'POST /oauth/token',
  'GET /oauth/authorize',
  'POST /oauth/authorize',
];
