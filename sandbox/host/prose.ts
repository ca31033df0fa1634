import type { Seed } from "./seed.ts";

const roots = `the of and to in a is that for it was on are be with as at by this have from or had not but what all were
we when your can said there use an each which she do how their if will up other about out many then them these so some her
would make like him into time has look two more write go see number no way could people my than first water been call who
oil its now find long down day did get come made may part meeting invoice project report please thanks regards attached
update schedule budget customer order delivery account password server message review contract team office monday friday
deadline question answer proposal design release version error problem solution support ticket status approved pending
travel booking flight hotel receipt payment amount total number address phone conference call notes agenda minutes draft
final comments feedback changes section page figure table appendix signature confidential forward reply original sent
received today tomorrow yesterday week month quarter year plan goal result numbers sales marketing engineering legal`.split(
  /\s+/,
);

/**
 * Text that compresses like people's letters do: a vocabulary of three thousand words, of which few are used often.
 * Making it costs a few nanoseconds a byte.
 */
export interface Prose {
  /** Exactly this many bytes of ASCII, in lines of at most 78 with CRLF or LF. */
  fill(target: Buffer, start: number, end: number, newline: "\n" | "\r\n"): void;
  words(count: number): string;
}

/** Prose that draws from this seed. */
export function proseOf(seed: Seed): Prose {
  const endings = ["", "", "s", "ed", "ing", "er", "ly", "ment", "ness", "able"];
  const vocabulary = Array.from({ length: 3000 }, (_, index) =>
    index < roots.length ? roots[index]! : seed.pick(roots) + seed.pick(roots).slice(0, 3) + seed.pick(endings),
  );
  // A word's share falls with its rank, as in any language (Zipf).
  const table = new Uint16Array(65_536);
  const weights = vocabulary.map((_, rank) => 1 / (rank + 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  let at = 0;
  let reached = 0;
  weights.forEach((weight, word) => {
    reached += (weight / sum) * table.length;
    while (at < Math.min(Math.round(reached), table.length)) table[at++] = word;
  });
  const encoded = vocabulary.map((word) => Buffer.from(word));

  return {
    words: (count) => Array.from({ length: count }, () => vocabulary[table[seed.bytes(2).readUInt16LE()]!]!).join(" "),
    fill(target, start, end, newline) {
      let position = start;
      let column = 0;
      let choices: Buffer = Buffer.alloc(0);
      let next = 0;
      while (position < end) {
        if (next + 2 > choices.length) {
          choices = seed.bytes(8192);
          next = 0;
        }
        const word = encoded[table[choices[next]! | (choices[next + 1]! << 8)]!]!;
        next += 2;
        const room = end - position;
        if (column + word.length > 76) {
          position += target.write(newline, position, Math.min(newline.length, room), "latin1");
          column = 0;
          continue;
        }
        const length = Math.min(word.length, room);
        for (let index = 0; index < length; index++) target[position + index] = word[index]!;
        position += length;
        column += length;
        if (position < end) {
          target[position++] = 0x20;
          column++;
        }
      }
    },
  };
}
