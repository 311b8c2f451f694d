// Package campaign holds no code, only tests: many people work with a vault at once, through the real clients, while the vault is killed
// (TestKilledVault), the power is cut (TestPowerCut), its ports fail (TestStorms), the server of its bucket fails (TestBucketStorms), or a
// person's own program is killed (TestKilledClient). See QUALITY §2.
//
// What the vault says is taken from the wire. Whatever happens: what was acknowledged is there once, with the index of its receipt; what
// was done once is there once; nothing is released on an event that is not in the log; every checkpoint ever given away is extended by the
// log; fsck finds nothing; a court's package, made when all is over, verifies; what is pending is included without anybody's help; and no
// honest vault makes a client raise an alarm.
//
// Nothing of the product may import it. STRONGROOM_SEED repeats a run as nearly as the machine's timing allows. STRONGROOM_LONG=1 makes it
// long; STRONGROOM_KILLS, STRONGROOM_CUTS, STRONGROOM_VAULTS and STRONGROOM_FILES say exactly how long four of the five shall be.
//
// SIGKILL leaves what the kernel has taken, so a missing fsync goes unnoticed but for TestPowerCut, which needs strace.
package campaign
