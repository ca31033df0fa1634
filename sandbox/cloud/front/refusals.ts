import type { S3Error, S3ErrorCode } from "../s3/errors.ts";
import { CallRefused } from "../service.ts";

/**
 * A request that is not signed as it should be, in the words of everybody but S3 ("Common error types" of the API
 * references).
 *
 * @param plainCodes - those of the Query protocol.
 * @throws the error itself where it is none of a signature.
 */
export function refusalOf(error: S3Error, plainCodes: boolean): CallRefused {
  const found = codes[error.code];
  if (found === undefined) throw error;
  const [plain, other, status] = found;
  return new CallRefused(plainCodes ? plain : other, error.message, status);
}

const codes: { readonly [Code in S3ErrorCode]?: readonly [plain: string, other: string, status: number] } = {
  AccessDenied: ["MissingAuthenticationToken", "MissingAuthenticationTokenException", 403],
  AuthorizationHeaderMalformed: ["IncompleteSignature", "IncompleteSignatureException", 403],
  ExpiredToken: ["ExpiredToken", "ExpiredTokenException", 403],
  InvalidAccessKeyId: ["InvalidClientTokenId", "UnrecognizedClientException", 403],
  InvalidToken: ["InvalidClientTokenId", "UnrecognizedClientException", 403],
  RequestTimeTooSkewed: ["SignatureDoesNotMatch", "InvalidSignatureException", 403],
  SignatureDoesNotMatch: ["SignatureDoesNotMatch", "InvalidSignatureException", 403],
};
