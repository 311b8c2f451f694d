//go:build !linux

package main

import "syscall"

func ownProcess() *syscall.SysProcAttr { return nil }

func freeSpace(string) (int64, bool) { return 0, false }

func memoryOf(int) (int64, bool) { return 0, false }
