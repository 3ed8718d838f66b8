// A process of its own that asks for one image by the official client, and is there to be killed:
//
//   node tests/e2e/support/openai-client.ts <base URL> <key> <idempotency key> <prompt>
import OpenAI from 'openai';

const [baseURL = '', apiKey = '', idempotencyKey = '', prompt = ''] = process.argv.slice(2);
const openai = new OpenAI({ baseURL, apiKey });
const headers = { 'idempotency-key': idempotencyKey };
await openai.images.generate({ model: 'gpt-image-1', prompt }, { headers });
