/**
 * Run as a process of its own: an agent that calls generate_image and waits, to be killed while it
 * does. Tells its parent what it is told.
 */
import { connectAgent } from './agent.ts';

const [origin = '', key = '', args = '{}'] = process.argv.slice(2);
const client = await connectAgent({ origin, key });
await client.callTool(
  { name: 'generate_image', arguments: JSON.parse(args) },
  { onprogress: ({ message }) => process.send?.(message ?? '') },
);
process.send?.('answered');
