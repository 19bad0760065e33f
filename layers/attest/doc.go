// Package attest makes and reads signed statements about images: the cosign
// key pair, the simple-signing payload, in-toto statements in DSSE envelopes,
// and the manifests that carry them next to an image.
//
// Everything but the making of a key is deterministic: the same key, image
// and predicate give the same bytes, down to the digest of the manifest.
package attest
