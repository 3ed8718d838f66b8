/** The order of a picture's layers, from the sky to the air before the viewer. */
import type { Layer } from './canvas';
import { cityLayer } from './city';
import {
  auroraLayer,
  cloudsLayer,
  fogLayer,
  nebulaLayers,
  planetLayer,
  starsLayer,
} from './heavens';
import { duneLayers, groundLayer, groundRow, hillLayers, mountainLayers } from './landscape';
import { moonLayer, skyLayer, sunLayer } from './sky';
import type { Stage } from './stage';
import { strokesLayer } from './strokes';
import { airborneLayer, boatLayer, faceLayer, STANDING, standingLayer } from './subjects';
import { flowersLayer, forestLayer, loneTreeLayer } from './trees';
import type { Thing } from './vocabulary';
import { waterLayers } from './water';
import { lightningLayer, rainLayer, snowfallLayer } from './weather';

const GROUND: readonly Thing[] = ['meadow', 'flowers', 'tree', 'desert', ...STANDING];

function skyLayers(stage: Stage): Layer[] {
  const { has } = stage;
  return [
    skyLayer(stage),
    ...(has('galaxy') || stage.description.time === 'space' ? nebulaLayers(stage) : []),
    ...(has('stars') ? [starsLayer(stage)] : []),
    ...(has('aurora') ? [auroraLayer(stage)] : []),
    ...(has('planet') ? planetLayer(stage) : []),
    ...(has('moon') ? [moonLayer(stage)] : has('sun') && !has('face') ? [sunLayer(stage)] : []),
    ...(has('clouds') ? [cloudsLayer(stage)] : []),
    ...(has('storm') ? [lightningLayer(stage)] : []),
  ];
}

function landLayers(stage: Stage): Layer[] {
  const { has, horizon } = stage;
  const isWet = has('sea') || has('lake');
  const row = groundRow(stage, isWet);
  const needsGround = !isWet || GROUND.some((thing) => has(thing));
  const hasTreesBehind = has('forest') && (isWet || has('city'));
  return [
    ...(has('mountains') ? mountainLayers(stage) : []),
    ...(has('hills') ? hillLayers(stage) : []),
    ...(has('city') ? [cityLayer(stage, horizon + 1)] : []),
    ...(hasTreesBehind ? [forestLayer(stage, horizon - 1)] : []),
    fogLayer(stage, 'haze', has('fog') ? 0.95 : 0.22),
    ...(isWet ? waterLayers(stage) : []),
    ...(has('boat') && isWet ? [boatLayer(stage)] : []),
    ...(has('desert') && !isWet ? duneLayers(stage) : needsGround ? [groundLayer(stage, row)] : []),
    ...(has('forest') && !hasTreesBehind ? [forestLayer(stage, row)] : []),
    ...(has('flowers') ? [flowersLayer(stage, row)] : []),
    ...(has('tree') ? [loneTreeLayer(stage, row)] : []),
    standingLayer(stage, row),
  ];
}

function airLayers(stage: Stage): Layer[] {
  const { has } = stage;
  return [
    airborneLayer(stage),
    ...(has('face') ? [faceLayer(stage)] : []),
    ...(has('fog') ? [fogLayer(stage, 'mist', 0.62)] : []),
    ...(has('rain') ? [rainLayer(stage)] : []),
    ...(has('snow') ? [snowfallLayer(stage)] : []),
    strokesLayer(stage),
  ];
}

/** Paint in this order. */
export function createScene(stage: Stage): Layer[] {
  const isPlaceless = stage.description.time === 'space' || stage.has('face');
  return [...skyLayers(stage), ...(isPlaceless ? [] : landLayers(stage)), ...airLayers(stage)];
}
