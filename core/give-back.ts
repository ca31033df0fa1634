/**
 * Frees the memory of bytes that nobody will use any more, now and not when the collector comes by: a stream of gigabytes makes garbage
 * faster than that. Bytes that share their memory with others are left alone.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) buffer.transfer(0);
}
