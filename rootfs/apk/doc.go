// Package apk reads Alpine archives: the signed index of a branch, the
// closure of packages that apk would install, the packages themselves,
// and the database of what is installed in a root. No install script ever
// runs; a table says what stands in for each.
//
// Formats: https://wiki.alpinelinux.org/wiki/Apk_spec and apk-world(5).
package apk
