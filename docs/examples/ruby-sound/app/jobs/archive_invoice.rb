class ArchiveInvoice
  include Sidekiq::Job
  sidekiq_options queue: "default", retry: 5

  def perform(number)
    Aws::S3::Client.new.put_object(bucket: "invoices", key: "#{number}.pdf", body: Invoice.find(number).pdf)
  end
end
