--- The version of this module, by itself: who only wants to know it need not load the rest.

return "0.2.0"
