// Package reproduce builds published images again, from their provenance and
// the lock, and says where the result is another: first by the diffIDs of
// layers, which are of their content, then by the digests of what carries it.
package reproduce
