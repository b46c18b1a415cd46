# Each rule claims something, and everything that protects is there.
package main

import rego.v1

deny contains message if {
	some rule in input.rules
	rule.claimed == 0
	message := sprintf("the rule %s claims nothing", [rule.name])
}

deny contains message if {
	some warning in input.warnings
	warning.code == "unusedPattern"
	message := warning.message
}
