package generate

// generators is the one list of what a recipe may name under generate.
func generators() map[string]Func {
	return map[string]Func{
		"alternatives":    alternatives,
		"base-files":      baseFiles,
		"busybox-applets": busyboxApplets,
		"ca-bundle":       caBundle,
		"java-cacerts":    javaCacerts,
		"nsswitch":        nsswitch,
		"shells":          shells,
		"timezone":        timezone,
	}
}
