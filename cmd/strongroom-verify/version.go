package main

import "runtime/debug"

// memory bounds a verifier: it stays small beside whatever else runs on a court's computer.
const memory = 200 << 20

// version is that of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of an unknown build"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}
