// Judges receipts with @sigstore/verify, offline. Questions come as lines of JSON:
//   {"bundle":"<receipt>","trustedRoot":"<trusted root>","keys":["<SPKI, base64>"],"timestamps":<how many are demanded>}
// Each is answered by a line: {"accepted":true}, or {"accepted":false,"code":"<the library's>","message":"<why>"}.
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

// keyring names each key as a receipt does: by base64(SHA-256(SPKI)).
function keyring(keys) {
  const byHint = {};
  for (const key of keys) {
    const rawBytes = Buffer.from(key, 'base64');
    byHint[createHash('sha256').update(rawBytes).digest('base64')] = { rawBytes };
  }
  return byHint;
}

function judge({ bundle, trustedRoot, keys, timestamps }) {
  // Whoever asks must ask rightly: a trusted root that cannot be read is no refusal of a receipt.
  const trust = toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(trustedRoot)), keyring(keys));
  const verifier = new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: timestamps });
  try {
    verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(bundle))));
    return { accepted: true };
  } catch (e) {
    return { accepted: false, code: e.code ?? e.name, message: e.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(judge(JSON.parse(line))) + '\n');
}
