/** Our parsers of option values, as commander wants them: so it names the option that is wrong. */
import { InvalidArgumentError } from 'commander';
import { UsageError } from './fault';

export const parsing =
  <Value>(parse: (text: string, before?: Value) => Value) =>
  (text: string, before?: Value): Value => {
    try {
      return parse(text, before);
    } catch (error) {
      if (error instanceof UsageError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
