// Package deb reads Debian archives: the signed index of a suite, the
// closure of packages that apt would install, and the packages themselves.
// No maintainer script ever runs; a table says what stands in for each.
//
// Formats: https://wiki.debian.org/DebianRepository/Format,
// https://www.debian.org/doc/debian-policy/ and deb(5).
package deb
