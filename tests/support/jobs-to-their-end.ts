// What tests do with the jobs of a provider: ask until they end, and look at what they made.
import type { PollAnswer } from '../../src/generation/providers/provider';
import { inspectImage } from '../../src/images/inspect';
import { bytesOf } from './provider-images';

/** More than the jobs of any fake take. */
const MAX_LOOKS = 10;

/** Every answer up to the one that ends the job. */
export async function answersOf(ask: () => Promise<PollAnswer>): Promise<PollAnswer[]> {
  const answers: PollAnswer[] = [];
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const answer = await ask();
    answers.push(answer);
    if (!['pending', 'missing', 'unreachable'].includes(answer.outcome)) break;
  }
  return answers;
}

export async function picturesOf(answer: PollAnswer | undefined) {
  if (answer?.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  const bytes = await Promise.all(answer.images.map(bytesOf));
  return bytes.map((each) => inspectImage(each));
}
