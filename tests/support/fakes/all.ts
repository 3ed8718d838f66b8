// Every fake provider, one line each: `name: start`.
import { startFakeAutomatic1111 } from './automatic1111.ts';
import { startFakeBfl } from './bfl.ts';
import { startFakeComfyUi } from './comfyui.ts';
import { startFakeCompatible } from './compatible.ts';
import { startFakeDeepInfra } from './deepinfra.ts';
import { startFakeFal } from './fal.ts';
import { startFakeFireworks } from './fireworks.ts';
import { startFakeGoogle } from './google.ts';
import { startFakeKserve } from './kserve.ts';
import { startFakeReplicate } from './replicate.ts';
import type { Fake } from './server.ts';
import { startFakeStability } from './stability.ts';
import { startFakeTogether } from './together.ts';
import { startFakeXai } from './xai.ts';

export const fakes = {
  automatic1111: startFakeAutomatic1111,
  bfl: startFakeBfl,
  comfyui: startFakeComfyUi,
  compatible: startFakeCompatible,
  deepinfra: startFakeDeepInfra,
  fal: startFakeFal,
  fireworks: startFakeFireworks,
  google: startFakeGoogle,
  kserve: startFakeKserve,
  replicate: startFakeReplicate,
  stability: startFakeStability,
  together: startFakeTogether,
  xai: startFakeXai,
} satisfies Record<string, (port?: number) => Promise<Fake<string>>>;
