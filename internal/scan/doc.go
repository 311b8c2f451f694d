// Package scan looks through what is about to leave the vault for what should not travel by accident: names and other words that a person
// gives, ids of the vault, addresses of mail and telephone, and in pictures the place and the camera's number (RULES §12.12, §12.15).
//
// It owns the looking alone: who asks, and what a finding stops, is for others to say. It may assume nothing about the bytes it is given.
// It keeps nothing, repeats nothing of what it read, and reads no file. What it could not read is itself a finding: text in pictures and
// recordings, in archives within archives, behind passwords, in a PDF whose fonts have letters of their own. Finding nothing else proves
// nothing.
package scan
