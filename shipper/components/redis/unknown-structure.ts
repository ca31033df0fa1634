/** Thrown where the bytes of a file are of no known structure. */
export class UnknownStructure extends Error {}
