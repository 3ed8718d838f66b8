/** The Worker, with lines of OpenAI's dialect that are committed at once. */
import { createApp } from '../../../src/app';
import worker from '../../../src/index';
import { createServices } from '../../../src/services';

export * from '../../../src/index';

let app: ReturnType<typeof createApp> | null = null;

export default {
  ...worker,
  fetch(request, env, context) {
    const services = createServices(env);
    const openAiTiming = { ...services.openAiTiming, commitAfterMs: 0, beatMs: 50 };
    app ??= createApp({ ...services, openAiTiming });
    return app.fetch(request, env, context);
  },
} satisfies ExportedHandler<Env>;
