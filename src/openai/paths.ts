/** Where this dialect is spoken, errors of any kind included. */
const ROOT = '/openai';

export const isOpenAiPath = (path: string): boolean => path === ROOT || path.startsWith(`${ROOT}/`);
