-- An upstream that takes its time before it passes a request on.
core.register_action("pause", { "http-req" }, function()
  core.msleep(8000)
end)
