// Package tlog owns what the transparency log hands out and what others pin of
// it: checkpoints (FORMATS §5), inclusion and consistency proofs, receipts
// (FORMATS §6) and the trust file (FORMATS §10).
//
// It may assume nothing of the bytes it reads: every parser is capped and
// accepts one canonical form. It knows Merkle trees and signatures, not custody:
// that a leaf belongs to a statement is checked elsewhere. It never reaches a
// network, a clock or a private key, and it never calls a leaf included whose
// proof it has not verified: only its Verify functions make an Included.
package tlog
