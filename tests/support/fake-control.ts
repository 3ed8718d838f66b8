// How a test in workerd scripts a fake that runs on Node, and asks what it saw.
export interface SeenCall {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** In base64. */
  readonly body: string;
}

export interface FakeState {
  readonly calls: readonly SeenCall[];
  readonly facts: Readonly<Record<string, number>>;
}

export const controlOf =
  <Behaviour extends string>(fakeUrl: string) =>
  async (order?: { reset?: true; behaviour?: Behaviour; queue?: Behaviour[] }) => {
    const init = order && { method: 'POST', body: JSON.stringify(order) };
    return (await fetch(`${fakeUrl}/control`, init)).json<FakeState>();
  };
