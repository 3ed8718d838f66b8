/** The package: a client of Foreman for browsers, Node and Workers. */
export type { Http } from './connection';
export { ConnectionFailed, ForemanError, GenerationFailed, WaitTimedOut } from './errors';
export { Foreman, type ForemanOptions } from './foreman';
export type { Generated, GenerateOptions } from './generating';
export * from './types';
export { verifyWebhook, type WebhookEvent, WebhookVerificationError } from './webhooks';
