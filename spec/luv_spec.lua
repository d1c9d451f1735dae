require "spec.loops".describe "luv"
