/** What stands in the sky: stars, planets, nebulae, aurora, clouds, fog. */
import type { Layer } from './canvas';
import { mix, type Rgb } from './colour';
import { type Dot, dotsLayer } from './dots';
import { createField, type Field } from './field';
import { fractal2, noise2, smoothStep } from './noise';
import { between } from './random';
import { discLayer } from './sky';
import { colourOf, type Stage } from './stage';

const STAR_COLOURS: readonly Rgb[] = [
  [255, 255, 255],
  [200, 220, 255],
  [255, 232, 200],
];

/** More steps, more stars. */
export function starsLayer(stage: Stage): Layer {
  const random = stage.random('stars');
  const { frame } = stage;
  const isDusk = stage.description.time === 'dusk';
  const below = stage.description.time === 'space' ? frame.height : stage.horizon * 0.92;
  const count = (isDusk ? 60 : 260) + stage.steps * 8;
  const dots: Dot[] = [];
  for (let i = 0; i < count; i++) {
    const size = random() * random() * random();
    dots.push({
      x: random() * frame.width,
      y: random() * below,
      radius: frame.unit * (0.0005 + 0.0026 * size),
      colour: STAR_COLOURS[i % STAR_COLOURS.length] ?? [255, 255, 255],
      strength: (isDusk ? 0.4 : 0.65) + 0.35 * random(),
    });
  }
  return dotsLayer(dots, 0.8);
}

export function planetLayer(stage: Stage): Layer[] {
  const random = stage.random('planet');
  const key = stage.key('planet');
  const { frame, palette } = stage;
  const isAlone = stage.description.time === 'space';
  const radius = frame.unit * (isAlone ? between(random, 0.2, 0.28) : between(random, 0.1, 0.15));
  const body = {
    x: frame.width * between(random, 0.3, 0.7),
    y: isAlone ? frame.height * between(random, 0.42, 0.58) : stage.horizon * 0.35,
    radius,
  };
  const light = colourOf(stage, 'planet', [228, 186, 140]);
  const dark = mix(light, palette.skyMiddle, 0.55);
  const side = random() < 0.5 ? -1 : 1;
  const globe = discLayer(body, (x, y) => {
    const wobble = noise2(key, x * 2, y * 3) * 0.12;
    const band = smoothStep(-0.4, 0.5, noise2(key + 1, 3.3, (y + wobble) * 4.5));
    const facing = x * 0.75 * side - y * 0.45 + 0.5 * Math.sqrt(Math.max(0, 1 - x * x - y * y));
    return mix(palette.skyTop, mix(light, dark, band), smoothStep(-0.45, 0.75, facing));
  });
  const tilt = between(random, 0.15, 0.35) * side;
  const ring = (isFront: boolean) =>
    ringLayer({ ...body, tilt, colour: mix(light, [255, 255, 255], 0.3) }, isFront);
  return [ring(false), globe, ring(true)];
}

function ringLayer(
  ring: { x: number; y: number; radius: number; tilt: number; colour: Rgb },
  isFront: boolean,
): Layer {
  const outer = ring.radius * 2;
  return ({ top, rows, width, pixels }) => {
    for (let row = Math.max(top, Math.floor(ring.y - outer)); row < top + rows; row++) {
      if (row > ring.y + outer) return;
      for (let x = Math.max(0, Math.floor(ring.x - outer)); x < width; x++) {
        if (x > ring.x + outer) break;
        const dx = (x - ring.x) / ring.radius;
        const dy = ((row - ring.y) / ring.radius - dx * ring.tilt) * 3.6;
        if (dy > 0 !== isFront) continue;
        const distance = Math.sqrt(dx * dx + dy * dy);
        const inside = smoothStep(1.28, 1.34, distance) * (1 - smoothStep(1.86, 1.94, distance));
        if (inside <= 0) continue;
        const gap = 1 - 0.75 * smoothStep(0.05, 0, Math.abs(distance - 1.62));
        const offset = ((row - top) * width + x) * 3;
        for (let channel = 0; channel < 3; channel++) {
          const old = pixels[offset + channel] ?? 0;
          const target = ring.colour[channel] ?? 0;
          pixels[offset + channel] = old + (target - old) * inside * gap * 0.7;
        }
      }
    }
  };
}

/** Mixes a colour in by a field of 0–1, down to row `to`: `dense` where it is 1, `thin` near 0. */
function veilLayer(stage: Stage, field: Field, to: number, dense: Rgb, thin: Rgb): Layer {
  const amounts = new Float32Array(stage.frame.width);
  return ({ top, rows, width, pixels }) => {
    for (let y = top; y < Math.min(top + rows, to); y++) {
      field(y, amounts);
      let offset = (y - top) * width * 3;
      for (let x = 0; x < width; x++, offset += 3) {
        const amount = amounts[x] ?? 0;
        if (amount <= 0.004) continue;
        for (let channel = 0; channel < 3; channel++) {
          const old = pixels[offset + channel] ?? 0;
          const edge = thin[channel] ?? 0;
          const colour = edge + ((dense[channel] ?? 0) - edge) * amount;
          pixels[offset + channel] = old + (colour - old) * amount;
        }
      }
    }
  };
}

/** Two veils of gas in the tint of the palette, over a dark sky. */
export function nebulaLayers(stage: Stage): Layer[] {
  const to = stage.description.time === 'space' ? stage.frame.height : stage.horizon;
  const random = stage.random('nebula');
  const slope = between(random, -0.8, 0.8);
  const middle = (0.5 * stage.frame.height) / stage.frame.unit;
  const veil = (name: string, width: number, dense: Rgb, thin: Rgb) => {
    const key = stage.key(name);
    const field = createField(stage.frame, { from: 0, to }, (x, y) => {
      const warp = noise2(key + 50, x * 1.7, y * 1.7) * 0.35;
      const off = (y - middle - (x - 0.5) * slope + warp) / width;
      const cloud = fractal2(key, x * 3 + warp, y * 3, stage.octaves);
      return smoothStep(-0.25, 0.85, cloud + 0.25) * 0.8 * Math.max(0, 1 - off * off);
    });
    return veilLayer(stage, field, to, dense, thin);
  };
  const { cloudLit, light } = stage.palette;
  return [
    veil('gas', 0.55, mix(cloudLit, [90, 60, 220], 0.3), cloudLit),
    veil('core', 0.28, light, mix(cloudLit, [240, 90, 150], 0.5)),
  ];
}

export function auroraLayer(stage: Stage): Layer {
  const key = stage.key('aurora');
  const bottom = (stage.horizon * 0.85) / stage.frame.unit;
  const field = createField(stage.frame, { from: 0, to: stage.horizon }, (x, y) => {
    const fold = noise2(key, x * 1.6, 0.3) * 0.16 + noise2(key + 1, x * 4, 0.7) * 0.05;
    const above = bottom - 0.12 + fold - y;
    if (above < -0.04) return 0;
    const rays = 0.55 + 0.45 * noise2(key + 2, x * 22 + fold * 40, y * 0.6);
    return smoothStep(-0.04, 0.03, above) * Math.max(0, 1 - above * 1.7) * rays * 0.95;
  });
  const green = colourOf(stage, 'aurora', [96, 255, 176]);
  return veilLayer(stage, field, stage.horizon, green, mix(green, [150, 90, 240], 0.6));
}

/** Flat-bottomed banks, longer towards the horizon, lit from the side of the light. */
export function cloudsLayer(stage: Stage): Layer {
  const { frame, palette, horizon, light } = stage;
  const key = stage.key('clouds');
  const isHeavy = stage.has('storm') || stage.has('rain');
  const isMany = isHeavy || stage.has('snow');
  const cover = (isHeavy ? 0.52 : isMany ? 0.3 : 0.06) + stage.random('clouds')() * 0.12;
  const floor = horizon / frame.unit;
  const towards = light.x / frame.unit;
  const density = (x: number, y: number) => {
    const distance = 0.35 + 1.1 * Math.max(0, 1 - y / floor);
    const bank = fractal2(key, (x * 3.2) / (0.55 + distance), (y * 8.5) / distance, stage.octaves);
    return bank + cover - 0.2 * smoothStep(0.75, 1, y / floor);
  };
  const amount = createField(frame, { from: 0, to: horizon }, (x, y) =>
    smoothStep(0, isHeavy ? 0.8 : 0.55, density(x, y)),
  );
  const lit = createField(frame, { from: 0, to: horizon }, (x, y) => {
    const step = Math.min(0.03, Math.max(-0.03, (towards - x) * 0.15));
    return density(x, y) - density(x + step, y - 0.03);
  });
  const amounts = new Float32Array(frame.width);
  const lights = new Float32Array(frame.width);
  const { cloudLit, cloudShade } = palette;
  return ({ top, rows, width, pixels }) => {
    for (let y = top; y < Math.min(top + rows, horizon); y++) {
      amount(y, amounts);
      lit(y, lights);
      let offset = (y - top) * width * 3;
      for (let x = 0; x < width; x++, offset += 3) {
        const part = amounts[x] ?? 0;
        if (part <= 0.004) continue;
        const shade = Math.min(1, Math.max(0, 0.62 + (lights[x] ?? 0) * 1.6 - part * 0.25));
        for (let channel = 0; channel < 3; channel++) {
          const dark = cloudShade[channel] ?? 0;
          const colour = dark + ((cloudLit[channel] ?? 0) - dark) * shade;
          const old = pixels[offset + channel] ?? 0;
          pixels[offset + channel] = old + (colour - old) * part * 0.92;
        }
      }
    }
  };
}

/** Banks of haze around the horizon; `density` 0–1. */
export function fogLayer(stage: Stage, name: string, density: number): Layer {
  const { frame, horizon } = stage;
  const key = stage.key(name);
  const middle = horizon / frame.unit + 0.02;
  const field = createField(frame, { from: 0, to: frame.height }, (x, y) => {
    const off = (y - middle) / (y < middle ? 0.3 + 0.35 * density : 0.34);
    const drift = 0.7 + 0.5 * fractal2(key, x * 1.6, y * 6, 3);
    return Math.min(1, Math.max(0, density * drift * Math.max(0, 1 - off * off)));
  });
  return veilLayer(stage, field, frame.height, stage.palette.haze, stage.palette.haze);
}
