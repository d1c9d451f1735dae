require "spec.loops".describe "copas"
