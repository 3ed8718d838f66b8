/** Addresses of images and requests as resources. An agent may give one wherever an id is asked for. */
export const IMAGE_TEMPLATE = 'foreman://images/{id}';
export const REQUEST_TEMPLATE = 'foreman://requests/{id}';

export const imageUri = (id: string) => IMAGE_TEMPLATE.replace('{id}', id);
export const requestUri = (id: string) => REQUEST_TEMPLATE.replace('{id}', id);

/** The id in one of them; what is none is left as it came. */
export const idIn = (text: string) =>
  /^foreman:\/\/(?:images|requests)\/([^/]+)$/.exec(text)?.[1] ?? text;
