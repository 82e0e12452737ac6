class ArchiveInvoice
  include Sidekiq::Job
  sidekiq_options queue: "default", retry: 5

  # FAULT (PKG001): right_aws keeps its connections in state that all threads share.
  def perform(number)
    RightAws::S3.new.bucket("invoices").put("#{number}.pdf", Invoice.find(number).pdf)
  end
end
